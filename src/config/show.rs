//! The configuration for people: the effective one as YAML, and the reference of all settings.

use std::fmt::Write;

use super::parse::Effective;
use super::raw::{Origin, Shown};
use super::secret::PasswordSource;
use super::settings::{DefaultValue, SETTINGS, Setting};

/// Returns the effective configuration as a file that `--config` reads: each setting with its origin, and no
/// secret.
#[must_use]
pub fn effective_yaml(effective: &Effective) -> String {
    let mut text = String::new();
    let mut section = None;
    for setting in SETTINGS {
        if section != Some(setting.section) {
            section = Some(setting.section);
            let gap = if text.is_empty() { "" } else { "\n" };
            text += &format!("{gap}# {}\n", setting.section.heading());
        }
        let origin = effective.origins.get(setting.key);
        let origin = comment(origin.unwrap_or(&Origin::Default));
        text += &match (setting.show)(&effective.config) {
            Shown::Unset(meaning) => format!("# {}: {meaning}  # from {origin}\n", setting.key),
            shown => {
                let yaml = shown.yaml().unwrap_or_default();
                format!("{}: {yaml}  # from {origin}\n", setting.key)
            }
        };
        if let Some(source) = setting.secret.and_then(|of| of(&effective.config)) {
            text += &password_line(source);
        }
    }
    for warning in &effective.warnings {
        text += &format!("# warning: {}\n", comment(warning));
    }
    text
}

/// Returns a line on whether the password can be read now. Rotation may be under way, so it is no error if it
/// can't.
fn password_line(source: &PasswordSource) -> String {
    match source.read() {
        Ok(_) => "# the password can be read now\n".to_owned(),
        Err(error) => format!("# warning: {}\n", comment(&error)),
    }
}

/// Returns a text without control characters: a path may hold a line break, which would end a comment.
fn comment(text: &impl ToString) -> String {
    text.to_string().replace(char::is_control, "?")
}

/// Returns the reference of all settings, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(
        "A setting `name` is given by the flag `--name`, the variable `SUPERVISOR_NAME` (upper case, `_` for `-`) or the key `name` in the file that `--config` or `SUPERVISOR_CONFIG` names. The flag counts before the variable, the variable before the file, the file before the SQL Server image's own variables where the table names some, and all before the default. An empty variable counts as not set.\n",
    );
    let mut section = None;
    for setting in SETTINGS {
        // Writing into a String can't fail.
        if section.replace(setting.section) != Some(setting.section) {
            let _ = write!(
                text,
                "\n**{}**\n\n| setting | default | value | what it is |\n| --- | --- | --- | --- |\n",
                setting.section.heading()
            );
        }
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            setting.key,
            default(setting),
            (setting.describe)(),
            setting.help
        );
    }
    text
}

fn default(setting: &Setting) -> String {
    let own = match setting.default {
        DefaultValue::Text("") => "none".to_owned(),
        DefaultValue::Text(text) => format!("`{text}`"),
        DefaultValue::From { rule, .. } => rule.to_owned(),
    };
    setting
        .fallback
        .iter()
        .map(|name| format!("`{name}`"))
        .chain([own])
        .collect::<Vec<_>>()
        .join(", else ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_each_setting_once_in_a_table_row_of_four() {
        let reference = reference();
        for setting in SETTINGS {
            let start = format!("| `{}` |", setting.key);
            let rows: Vec<_> = reference
                .lines()
                .filter(|l| l.starts_with(&start))
                .collect();
            assert_eq!(rows.len(), 1, "{}", setting.key);
            assert_eq!(rows[0].matches('|').count(), 5, "{}", rows[0]);
        }
    }
}
