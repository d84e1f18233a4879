"""Looking at labels: rules, statistics, pictures, scores."""
