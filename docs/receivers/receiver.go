// Receive mail with Go, standard library alone: WEBHOOK_SECRET=whsec_… go run receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type payload struct {
	ID        string `json:"id"`
	Challenge string `json:"challenge"` // only where the endpoint is set to `verify: true`
	Auth      struct {
		Sender struct {
			Authenticated bool   `json:"authenticated"`
			Address       string `json:"address"`
		} `json:"sender"`
	} `json:"auth"`
	Message struct {
		Subject string `json:"subject"`
	} `json:"message"`
}

var seen sync.Map // a unique column of your database

func main() {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil {
		log.Fatal(err)
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "3000"
	}
	http.HandleFunc("/mail", func(w http.ResponseWriter, r *http.Request) { receive(w, r, key) })
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}

func receive(w http.ResponseWriter, r *http.Request, key []byte) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 12<<20))
	if err != nil {
		return // it has been answered with 413
	}
	if !isOurs(r.Header, body, key) {
		http.Error(w, "the signature is not ours", http.StatusUnauthorized)
		return
	}
	var mail payload
	if err := json.Unmarshal(body, &mail); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if mail.Challenge != "" {
		fmt.Fprint(w, mail.Challenge)
		return
	}
	if _, known := seen.LoadOrStore(mail.ID, true); !known { // the same mail may come twice
		who := "somebody"
		if mail.Auth.Sender.Authenticated {
			who = mail.Auth.Sender.Address
		}
		fmt.Printf("%s wrote: %s\n", who, mail.Message.Subject)
	}
	w.WriteHeader(http.StatusNoContent)
}

func isOurs(header http.Header, body, key []byte) bool {
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, stamp)
	mac.Write(body)
	for _, entry := range strings.Fields(header.Get("webhook-signature")) {
		text, ok := strings.CutPrefix(entry, "v1,")
		given, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && hmac.Equal(given, mac.Sum(nil)) {
			return true
		}
	}
	return false
}
