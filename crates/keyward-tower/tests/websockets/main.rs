//! WebSockets behind the layer, on a real hyper with a real client.

mod denied;
mod live;
mod support;
