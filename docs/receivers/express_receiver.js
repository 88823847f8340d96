// Receive mail with Express: npm install express; WEBHOOK_SECRET=whsec_… node express_receiver.js

const crypto = require("node:crypto");
const express = require("express");

const key = Buffer.from(process.env.WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const seen = new Set(); // a unique column of your database
const app = express();

// The signature covers the octets as they came: parse the JSON after it was checked, not before.
app.post("/mail", express.raw({ type: "*/*", limit: "12mb" }), (request, response) => {
  if (!isOurs(request)) return response.status(401).send("the signature is not ours\n");
  const payload = JSON.parse(request.body);
  if (payload.challenge) return response.type("text").send(payload.challenge); // only with `verify: true`
  if (!seen.has(payload.id)) { // the same mail may come twice
    seen.add(payload.id);
    const { sender } = payload.auth;
    const who = sender.authenticated ? sender.address : "somebody";
    console.log(`${who} wrote: ${payload.message.subject}`);
  }
  response.status(204).end();
});

function isOurs(request) {
  const id = request.get("webhook-id") ?? "";
  const timestamp = request.get("webhook-timestamp") ?? "";
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) < 300)) return false;
  const expected = crypto.createHmac("sha256", key).update(`${id}.${timestamp}.`).update(request.body).digest();
  return (request.get("webhook-signature") ?? "").split(" ").some((entry) => {
    const [version, text] = entry.split(",");
    const given = Buffer.from(text ?? "", "base64");
    return version === "v1" && given.length === expected.length && crypto.timingSafeEqual(given, expected);
  });
}

app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1");
