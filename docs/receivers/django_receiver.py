"""
Receive mail with Django.

    pip install django standardwebhooks
    WEBHOOK_SECRET=whsec_… python django_receiver.py
"""

import os
import sys

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen: set[str] = set()  # a unique column of your database


@csrf_exempt  # it comes from a server, with a signature, not from a browser with a form
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    try:
        payload = webhook.verify(request.body, dict(request.headers))
    except WebhookVerificationError:
        return HttpResponse("the signature is not ours\n", status=401)
    if "challenge" in payload:  # only where the endpoint is set to `verify: true`
        return HttpResponse(payload["challenge"], content_type="text/plain")
    if payload["id"] not in seen:  # the same mail may come twice
        seen.add(payload["id"])
        sender, message = payload["auth"]["sender"], payload["message"]
        who = sender["address"] if sender["authenticated"] else "somebody"
        print(f"{who} wrote: {message['subject']}", flush=True)  # noqa: T201
    return HttpResponse(status=204)


urlpatterns = [path("mail", receive)]

if __name__ == "__main__":  # one file for the example; in a project you have the view and the path alone
    from django.core.management import execute_from_command_line

    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=12 * 1024 * 1024,  # Django's 2.5 MB is less than a body may be
    )
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", os.environ.get("PORT", "3000")])
