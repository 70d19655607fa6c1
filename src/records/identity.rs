//! The file that says which volume this is. What follows from it: [`crate::decide::identity`].

/// Its name in the supervisor's folder.
pub const NAME: &str = "identity";
