//! The reader of what the engine writes: its errorlog, or the output of its container.
//!
//! Pure: bytes in, an [`EngineLog`](crate::decide::observation::EngineLog) out. [`lines`] makes
//! lines of bytes in either of the engine's encodings; [`entry`] removes what others put at the
//! head of a line, and separates what two writers joined; [`header`] recognizes
//! `Error: 9002, Severity: 17, State: 2.` in any language by its shape; [`event`] recognizes the
//! messages about a start, a recovery and a stop; [`reader`] folds all of it. What a message means
//! is not known here but in the table of faults ([`crate::decide::faults`]).
//!
//! The wording is that of logs which people published; `tests/corpus` holds them.

pub mod entry;
pub mod event;
pub mod header;
pub mod lines;
pub mod os_error;
mod plain;
pub mod reader;

pub use lines::Lines;
pub use reader::Reader;
