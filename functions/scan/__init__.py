"""Who sent it, and is it spam: facts about a mail, the same for every tenant."""
