"""The service over HTTP: what subscribers, publishers and operators may ask of it."""
