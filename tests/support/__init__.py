"""What several test packages share: a raw-socket HTTP client, child servers, multipart bodies."""
