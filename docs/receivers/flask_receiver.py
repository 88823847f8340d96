"""
Receive mail with Flask.

    pip install flask standardwebhooks
    WEBHOOK_SECRET=whsec_… python flask_receiver.py
"""

import os

from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen: set[str] = set()  # a unique column of your database


@app.post("/mail")
def receive() -> tuple[str, int]:
    try:
        payload = webhook.verify(request.get_data(), dict(request.headers))
    except WebhookVerificationError:
        return "the signature is not ours\n", 401
    if "challenge" in payload:  # only where the endpoint is set to `verify: true`
        return payload["challenge"], 200
    if payload["id"] not in seen:  # the same mail may come twice
        seen.add(payload["id"])
        sender, message = payload["auth"]["sender"], payload["message"]
        who = sender["address"] if sender["authenticated"] else "somebody"
        print(f"{who} wrote: {message['subject']}", flush=True)  # noqa: T201
    return "", 204


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "3000")))
