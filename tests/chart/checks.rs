//! What holds for all objects that are ever rendered.

mod consistent;
mod monitoring;
pub mod restricted;
pub mod typed;

use crate::object::Object;

/// Everything that is wrong with what was rendered for one set of values.
pub fn mistakes(objects: &[Object]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for object in objects {
        let mut of_object = typed::mistakes(object);
        if let Some(pod) = object.pod() {
            of_object.extend(restricted::mistakes(pod));
        }
        let where_from = format!("{} ({})", object.id(), object.source);
        mistakes.extend(of_object.iter().map(|what| format!("{where_from}: {what}")));
    }
    mistakes.extend(consistent::mistakes(objects));
    mistakes
}

/// Nothing is wrong.
pub fn assert_sound(objects: &[Object], values: &str) {
    let mistakes = mistakes(objects);
    assert!(mistakes.is_empty(), "{values}\n{}", mistakes.join("\n"));
}
