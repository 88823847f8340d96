"""The built-in spam engine on mail it has not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailchute.classifier import learn, save

from bench.spam_report import auc, corpus_mails, scored, without_telling_fields
from tests.corpus.material import corpus
from tests.servers.dns import DnsServer

pytestmark = pytest.mark.corpus


@pytest.mark.parametrize("is_stripped", [False, True], ids=["as they came", "without telling fields"])
def test_trained_on_one_half_it_tells_the_other(dns: DnsServer, tmp_path: Path, *, is_stripped: bool) -> None:
    corpus("spam", cases=300)
    ham, spam = corpus_mails(300)
    if is_stripped:
        ham, spam = [[without_telling_fields(c) for c in some] for some in (ham, spam)]
    save(learn(ham[::2], spam[::2]), tmp_path / "model")
    untrained = auc(scored(ham[1::2], spam[1::2], None, dns))
    trained = auc(scored(ham[1::2], spam[1::2], tmp_path / "model", dns))
    assert trained >= 0.97
    assert trained > untrained > 0.8
