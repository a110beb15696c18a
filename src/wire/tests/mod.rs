//! The codec from outside: tables of what is taken and refused, and properties that hold however bytes arrive.

mod arrival;
mod body;
mod h2_head;
mod head;
mod reply;
