"""What tests stand on: real servers, stores, mirrors and clients, and builders of snapshots."""
