"""The controller's database: numbered SQL files, applied in order, once each."""
