//! The configuration: text to tree, checked against one table of directives, read into typed snapshots.
