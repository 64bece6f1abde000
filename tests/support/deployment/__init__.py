"""The real tools that run what is in deploy/: systemd, proxies, containers, Kubernetes' schemas."""
