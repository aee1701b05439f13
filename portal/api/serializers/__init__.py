"""What the API reads and writes, by resource. Values are judged by the services; here is only which members there are, of which type."""
