"""What a mail inside a mail (message/rfc822) says at a glance."""

from __future__ import annotations

from mailchute.payload import NestedMail

from .addresses import read_mailboxes
from .bodies import sort_leaves
from .entity import Entity
from .markup import read_markup
from .words import text_of, unfolded

HTML_MAX_CHARACTERS = 512 * 1024  # makes more than the text that is shown
TEXT_MAX_CHARACTERS = 64 * 1024  # the whole of it is in the attachment


def glance_at(entity: Entity) -> NestedMail:
    """Return subject, author and text of the mail in this message/rfc822 entity."""
    root = entity.children[0]
    senders = read_mailboxes(unfolded(root.section.first("from") or b""))
    slots = sort_leaves(root).slots
    texts = [
        slot.text if slot.text is not None else read_markup((slot.html or "")[:HTML_MAX_CHARACTERS]).text
        for slot in slots
    ]
    return NestedMail(
        subject=text_of(root.section.first("subject") or b""),
        sender=senders[0] if senders else None,
        text="\n".join(texts)[:TEXT_MAX_CHARACTERS],
    )
