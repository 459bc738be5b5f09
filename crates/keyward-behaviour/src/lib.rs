//! The behaviour suite that every adapter of Keyward passes, and the conformance server.
//!
//! Three things judge an adapter, each over real sockets: the named cases in [`cases`], which no adapter can edit;
//! an independent model of the rules in [`model`], stepped beside the adapter with the requests of [`generate`]; and
//! the audit events that the same requests leave behind.

pub mod adapters;
pub mod cases;
pub mod compare;
pub mod conformance;
pub mod demands;
pub mod generate;
pub mod harness;
pub mod in_process;
pub mod model;
pub mod service;
pub mod sockets;
pub mod suite;
pub mod wire;
