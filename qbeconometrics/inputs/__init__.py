"""What the user gave -> checked float64 arrays with names."""
