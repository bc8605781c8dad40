"""Telling subscribers how their products stand: signed webhooks and e-mail, at least once."""
