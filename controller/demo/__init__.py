"""What `slackwater demo` serves: an archive of its own making, and subscriptions to it."""
