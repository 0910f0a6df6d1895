"""What two processes share: messages, descriptors, a table in shared memory."""
