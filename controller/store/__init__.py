"""What the service must not forget: the journal, what is yet to be carried out, and listings."""
