//! `launch` as the first process of a PID namespace, before the image's kind of command: a shell with
//! companions in the background and the engine in front.

mod again;
mod agent;
mod alone;
mod assigned;
mod image;
mod linked;
mod outage;
mod panics;
mod rig;
mod sidecar;
mod volume;
