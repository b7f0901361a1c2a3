//! Git: the objects that this agent makes, and the adapters that keep, fetch and push them.

pub mod commit;
