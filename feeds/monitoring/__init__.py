"""What the service reports of itself: metrics (`gauges`, and `feeds.counters` below), readiness and status (`health`)."""
