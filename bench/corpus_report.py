"""
How we read other projects' test data, beside the usual libraries: `.venv/bin/python -m bench.corpus_report`.

The data lies outside the project (MAILCHUTE_CORPUS); no link in it is opened.
"""

from __future__ import annotations

import sys

from bench import corpus_mime, corpus_rest
from bench.corpus_score import CORPUS, Score, counted

REASONS = corpus_mime.MEANT | corpus_rest.NO_BOUNCE | corpus_rest.BROKEN


def scores() -> list[Score]:
    """Return every score, in the order of the report."""
    return [
        *corpus_mime.mime4j(),
        *corpus_mime.mailcore2(),
        *corpus_mime.jwz(),
        corpus_rest.bounces(),
        corpus_rest.complaints(),
        corpus_rest.replies(),
        *corpus_rest.links(),
        corpus_rest.calendars(),
        corpus_rest.reports(),
    ]


def main() -> None:
    if not CORPUS.is_dir():
        sys.exit("no corpus: set MAILCHUTE_CORPUS to its folder")
    survived, slowest_s = corpus_rest.survival()
    print(f"slowest message: {slowest_s:.2f} s CPU")
    for score in [survived, *scores()]:
        print(score.line())
        for name in score.misses:
            if name in REASONS:
                print(f"    {name}: {REASONS[name]}")
        other = [name for name in score.misses if name not in REASONS]
        if other:
            print(f"    missed: {counted(other)}")
        if score.uncounted:
            print(f"    not counted, its message is not in the corpus: {counted(score.uncounted)}")


if __name__ == "__main__":
    main()
