"""Which request runs next: admission, the queue, deadlines."""
