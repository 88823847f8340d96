"""The SMTP edge: it answers 250 once a mail is on the MAIL stream, and not before."""
