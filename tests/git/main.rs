//! With real git and ssh-keygen, which have to be on the PATH.

mod charter;
mod mutation;
mod repo;
mod trust;
