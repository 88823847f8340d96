"""
How well the built-in spam engine tells spam from ham: `python -m bench.spam_report [--limit N]`.

The corpus's mails (SpamAssassin, 2002) are split in two: the classifier learns from one half and is
asked about the other. They came by no SMTP session of ours, so nothing about the sender's domain
counts. Fields betray the era and the place a collection comes from; so the figures are also given
with every header field but Subject, From and the content fields replaced by the same few in all.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailchute.classifier import learn, save
from mailchute.settings import DnsSettings

from functions.scan.message import Message
from functions.scan.scan import Scanner
from functions.scan.settings import Settings
from tests.servers.dns import DnsServer

ROOT = Path(__file__).parents[1]
THRESHOLD = 5.0
LEAST_AUC = 0.97
REACHABLE = {"MX": ["10 mx.example.org"], "TTL": 86_400}  # of any name: most senders' domains are gone by now
KEPT_FIELDS = (b"subject", b"from", b"content-type", b"content-transfer-encoding", b"mime-version")
SAME_FIELDS = (  # subjects that begin with "Re:" stay, so all mails answer one
    b"Message-ID: <1@example.org>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nTo: a@inbox.test\r\n"
    b"In-Reply-To: <0@example.org>\r\n"
)
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:(?:[^\r\n]|\r?\n[ \t])*(?:\r?\n|\Z)", re.MULTILINE)


@dataclass(frozen=True)
class Scored:
    """One mail's truth and what the engine made of it."""

    is_spam: bool
    score: float
    probability: float


def corpus_mails(limit: int | None) -> tuple[list[bytes], list[bytes]]:
    """Return the ham and the spam of the corpus, in a fixed order."""
    folder = Path(os.environ.get("MAILCHUTE_CORPUS", ROOT.parent / "shared" / "corpus")) / "spam"
    found: dict[str, list[tuple[str, bytes]]] = {"ham": [], "spam": []}
    for archive in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.name.endswith(".txt") else None
                if file is not None:
                    kind = "ham" if "ham" in member.name.split("/")[0] else "spam"
                    found[kind].append((member.name, _as_sent(file.read())))
    ham, spam = ([content for _, content in sorted(found[kind])] for kind in ("ham", "spam"))
    return ham[:limit], spam[:limit]


def without_telling_fields(content: bytes) -> bytes:
    """Return the mail without the header fields that betray its era and its collection."""
    head, gap, body = content.partition(b"\r\n\r\n")
    kept = [m.group() for m in _FIELD.finditer(head + b"\r\n") if m[1].lower() in KEPT_FIELDS]
    return SAME_FIELDS + b"".join(kept).rstrip(b"\r\n") + gap + body


def scored(ham: Sequence[bytes], spam: Sequence[bytes], model: Path | None, dns: DnsServer) -> list[Scored]:
    """Return what the engine makes of these mails."""
    dns.zone["*"] = REACHABLE
    settings = Settings(
        dns=DnsSettings(host=dns.host, port=dns.port), authserv_id="bench.example", model_file=model
    )
    scanner = Scanner(settings)
    try:
        return [
            _scored(scanner, c, is_spam=kind) for kind, some in ((False, ham), (True, spam)) for c in some
        ]
    finally:
        scanner.close()


def _scored(scanner: Scanner, content: bytes, *, is_spam: bool) -> Scored:
    message = Message(content=content, client_ip="", helo="", reverse_path=None)
    spam = scanner.scan(message, spam_enabled=True, threshold=THRESHOLD).spam
    assert spam is not None
    return Scored(is_spam, spam.score, spam.probability)


def auc(results: Iterable[Scored]) -> float:
    """Return the area under the ROC curve: how likely a spam scores above a ham, ties counting half."""
    ordered = sorted(results, key=lambda r: r.score)
    rank_sum, at = 0.0, 0
    while at < len(ordered):
        after = at
        while after < len(ordered) and ordered[after].score == ordered[at].score:
            after += 1
        rank_sum += (at + after + 1) / 2 * sum(r.is_spam for r in ordered[at:after])
        at = after
    spam_count = sum(r.is_spam for r in ordered)
    ham_count = len(ordered) - spam_count
    return (rank_sum - spam_count * (spam_count + 1) / 2) / (spam_count * ham_count)


def tpr_at(results: Sequence[Scored], fpr: float) -> float:
    """Return the share of spam above the score that at most this share of ham reaches."""
    ham = sorted((r.score for r in results if not r.is_spam), reverse=True)
    spam = [r.score for r in results if r.is_spam]
    allowed = int(fpr * len(ham))
    bar = ham[allowed]
    return sum(score > bar for score in spam) / len(spam)


def calibration(results: Sequence[Scored]) -> list[tuple[str, int, float, float]]:
    """Return for each tenth of the probability: how many mails, what it says, what share is spam."""
    rows = []
    for tenth in range(10):
        inside = [r for r in results if min(int(r.probability * 10), 9) == tenth]
        if inside:
            said = sum(r.probability for r in inside) / len(inside)
            share = sum(r.is_spam for r in inside) / len(inside)
            rows.append((f"{tenth / 10:.1f}-{(tenth + 1) / 10:.1f}", len(inside), said, share))
    return rows


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, help="use at most so many mails of each kind")
    ham, spam = corpus_mails(parser.parse_args(arguments).limit)
    if not ham or not spam:
        print("the spam corpus is not there: nothing to report")
        return 0
    print(f"{len(ham)} ham, {len(spam)} spam; trained on every second, tested on the others\n")
    print(
        f"{'mails':24} {'engine':10} {'AUC':>7} {'TPR@0.1%':>9} {'TPR@1%':>7} {'>=5 spam':>9} {'>=5 ham':>8}"
    )
    dns, least, last = DnsServer(), 1.0, dict[str, list[Scored]]()
    with tempfile.TemporaryDirectory() as folder:
        for name, change in (
            ("as they came", lambda c: c),
            ("without telling fields", without_telling_fields),
        ):
            hams, spams = [change(c) for c in ham], [change(c) for c in spam]
            model = Path(folder) / "model"
            save(learn(hams[::2], spams[::2]), model)
            for engine, file in (("untrained", None), ("trained", model)):
                results = scored(hams[1::2], spams[1::2], file, dns)
                print(f"{name:24} {engine:10} {_figures(results)}")
                last[engine] = results
            least = min(least, auc(last["trained"]))
    dns.stop()
    print("\ncalibration without telling fields: the tenth, how many mails, what is said, what share is spam")
    for engine, results in last.items():
        print(f"  {engine}")
        for label, count, said, share in calibration(results):
            print(f"    {label}  {count:5}  {said:6.1%}  {share:6.1%}")
    return 0 if least >= LEAST_AUC else 1


def _figures(results: Sequence[Scored]) -> str:
    spam = [r.score >= THRESHOLD for r in results if r.is_spam]
    ham = [r.score >= THRESHOLD for r in results if not r.is_spam]
    shares = f"{sum(spam) / len(spam):9.1%} {sum(ham) / len(ham):8.2%}"
    return f"{auc(results):7.4f} {tpr_at(results, 0.001):9.1%} {tpr_at(results, 0.01):7.1%} {shares}"


def _as_sent(content: bytes) -> bytes:
    if content.startswith(b"From "):  # the mbox line
        content = content.partition(b"\n")[2]
    return re.sub(rb"\r?\n", b"\r\n", content)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
