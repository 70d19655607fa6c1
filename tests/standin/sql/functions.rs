//! The built-in functions that monitoring queries call.

use super::super::messages::SqlError;
use super::super::script::Database;
use super::super::tds::datetime::DateTime;
use super::super::tds::types::{SYSNAME, SqlType};
use super::super::tds::value::Value;
use super::catalog::World;

/// Returns the type of what a function returns.
pub fn sql_type(function: &str) -> SqlType {
    match function {
        "serverproperty" => SqlType::Variant,
        "getdate" | "getutcdate" | "sysutcdatetime" | "sysdatetime" => SqlType::DateTime,
        "suser_id" | "has_perms_by_name" | "has_dbaccess" | "db_id" | "object_id" | "datediff"
        | "len" | "is_srvrolemember" | "count" => SqlType::Int,
        "datediff_big" | "count_big" => SqlType::BigInt,
        "string_agg" | "replace" | "concat" => SqlType::NVarCharMax,
        "rtrim" | "ltrim" | "lower" | "upper" | "left" | "quotename" => SqlType::NVarChar(4000),
        _ => SYSNAME,
    }
}

pub fn call(world: &World, function: &str, arguments: &[Value]) -> Result<Value, SqlError> {
    // All but these give NULL for NULL.
    let lenient = matches!(
        function,
        "isnull" | "coalesce" | "nullif" | "concat" | "has_perms_by_name"
    );
    if !lenient && arguments.contains(&Value::Null) {
        return Ok(Value::Null);
    }
    let of_instance = about_instance(world, function, arguments);
    of_instance
        .or_else(|| of_values(function, arguments))
        .ok_or_else(|| {
            SqlError::with_message(
                195,
                format!("'{function}' is not a recognized built-in function name."),
            )
        })
}

fn about_instance(world: &World, function: &str, arguments: &[Value]) -> Option<Value> {
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::text);
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Int);
    Some(match (function, arguments) {
        ("serverproperty", [Value::Text(name)]) => property(world, name),
        ("db_name", []) => Value::text(&world.database),
        ("db_name", [Value::Int(id)]) => text(world.database_name(*id)),
        ("db_id", []) => number(world.database_id(&world.database)),
        ("db_id", [Value::Text(name)]) => number(world.database_id(name)),
        ("suser_sname" | "suser_name" | "original_login" | "system_user", []) => {
            Value::text(&world.user)
        }
        ("suser_id", [Value::Text(name)]) => {
            let known = |login: &String| login.eq_ignore_ascii_case(name);
            let id = world.logins.iter().position(known);
            // 1 is sa, wherever it stands.
            number(id.and_then(|id| i64::try_from(id + 1).ok()))
        }
        ("has_perms_by_name", [_, _, Value::Text(permission)]) => {
            let server_state = permission.eq_ignore_ascii_case("VIEW SERVER STATE");
            Value::Int(i64::from(!server_state || world.view_server_state))
        }
        ("has_dbaccess", [Value::Text(name)]) => {
            let open = |database: &Database| {
                i64::from(database.accessible && database.state.refusal().is_none())
            };
            number(world.database_named(name).map(open))
        }
        ("is_srvrolemember", [Value::Text(_)]) => Value::Int(i64::from(world.user == "sa")),
        ("object_id", [Value::Text(name), ..]) => number(world.object_id(name)),
        _ => return None,
    })
}

fn property(world: &World, name: &str) -> Value {
    match name.to_ascii_lowercase().as_str() {
        "productversion" => Value::text(&world.product.version),
        "productlevel" => Value::text(&world.product.level),
        "edition" => Value::text(&world.product.edition),
        "engineedition" => Value::Int(i64::from(world.product.engine_edition)),
        "servername" | "machinename" => Value::text(&world.product.server_name),
        "collation" => Value::text("SQL_Latin1_General_CP1_CI_AS"),
        "ishadrenabled" | "isclustered" => Value::Int(0),
        "issingleuser" => Value::Int(i64::from(world.single_user)),
        _ => Value::Null,
    }
}

fn of_values(function: &str, arguments: &[Value]) -> Option<Value> {
    Some(match (function, arguments) {
        ("getdate" | "getutcdate" | "sysutcdatetime" | "sysdatetime", []) => {
            Value::DateTime(DateTime::now())
        }
        ("isnull" | "coalesce", values @ [_, _, ..]) => values
            .iter()
            .find(|value| **value != Value::Null)
            .cloned()
            .unwrap_or(Value::Null),
        ("nullif", [left, right]) if left == right => Value::Null,
        ("nullif", [left, _]) => left.clone(),
        ("abs", [Value::Int(number)]) => Value::Int(number.abs()),
        ("abs", [Value::Float(number)]) => Value::Float(number.abs()),
        ("concat", values @ [_, _, ..]) => Value::Text(values.iter().map(Value::to_text).collect()),
        ("rtrim", [value]) => Value::text(value.to_text().trim_end_matches(' ')),
        ("ltrim", [value]) => Value::text(value.to_text().trim_start_matches(' ')),
        ("lower", [value]) => Value::Text(value.to_text().to_lowercase()),
        ("upper", [value]) => Value::Text(value.to_text().to_uppercase()),
        ("len", [value]) => {
            let units = value.to_text().trim_end_matches(' ').encode_utf16().count();
            Value::Int(i64::try_from(units).unwrap_or(i64::MAX))
        }
        ("left", [value, Value::Int(chars)]) => {
            let chars = usize::try_from(*chars).unwrap_or_default();
            Value::Text(value.to_text().chars().take(chars).collect())
        }
        ("replace", [text, Value::Text(from), to]) => {
            Value::Text(text.to_text().replace(from.as_str(), &to.to_text()))
        }
        // Longer names than sysname give NULL.
        ("quotename", [Value::Text(name)]) if name.encode_utf16().count() <= 128 => {
            Value::Text(format!("[{}]", name.replace(']', "]]")))
        }
        ("quotename", [Value::Text(name), Value::Text(quote)]) if quote == "'" => {
            Value::Text(format!("'{}'", name.replace('\'', "''")))
        }
        ("quotename", [_]) => Value::Null,
        ("datediff" | "datediff_big", [Value::Text(part), from, to]) => {
            match (from.cast(&SqlType::DateTime), to.cast(&SqlType::DateTime)) {
                (Value::DateTime(from), Value::DateTime(to)) => {
                    Value::Int(boundaries(part, to)? - boundaries(part, from)?)
                }
                _ => Value::Null,
            }
        }
        _ => return None,
    })
}

/// Returns the number of boundaries of a unit that have passed since 1970: DATEDIFF counts those, and not
/// elapsed time.
fn boundaries(part: &str, time: DateTime) -> Option<i64> {
    let milliseconds = time.unix_milliseconds();
    let unit = match part {
        "millisecond" | "ms" => 1,
        "second" | "ss" | "s" => 1000,
        "minute" | "mi" | "n" => 60_000,
        "hour" | "hh" => 3_600_000,
        "day" | "dd" | "d" => 86_400_000,
        _ => return None,
    };
    Some(milliseconds.div_euclid(unit))
}

/// Whether `text` matches `pattern`, in which only `%` is special: that is all that monitoring queries use.
pub fn like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('%');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.split_once(middle) {
                Some((_, tail)) => rest = tail,
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(suffix) => rest.ends_with(suffix),
    }
}
