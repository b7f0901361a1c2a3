//! With real git and ssh-keygen, which have to be on the PATH.

mod charter;
mod fetched;
mod mutation;
#[path = "../support/pipe.rs"]
mod pipe;
mod repo;
mod trust;
