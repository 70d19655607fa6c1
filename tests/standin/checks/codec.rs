//! The codec without a socket.

use bytes::BytesMut;
use proptest::prelude::*;

use crate::standin::sql::statement::parse_batch;
use crate::standin::tds::datetime::DateTime;
use crate::standin::tds::packet::{Assembler, Fragmenter, PacketType};
use crate::standin::tds::prelogin::{self, Agreement, Encryption};
use crate::standin::tds::types::SqlType;

fn reassemble(packets: &mut BytesMut) -> Vec<u8> {
    let message = Assembler::default().next(packets).unwrap().unwrap();
    message.payload.to_vec()
}

proptest! {
    #[test]
    fn what_is_cut_into_packets_comes_out_whole(
        payload in prop::collection::vec(any::<u8>(), 0..40_000),
        packet_bytes in 0_usize..70_000,
    ) {
        let mut packets = BytesMut::new();
        Fragmenter::new(PacketType::SqlBatch, packet_bytes).cut(&payload, true, &mut packets);
        prop_assert_eq!(reassemble(&mut packets), payload);
        prop_assert!(packets.is_empty());
    }

    #[test]
    fn a_message_in_two_sends_is_one_message(
        first in prop::collection::vec(any::<u8>(), 1..5000),
        second in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        let mut packets = BytesMut::new();
        let mut fragmenter = Fragmenter::new(PacketType::SqlBatch, 512);
        fragmenter.cut(&first, false, &mut packets);
        fragmenter.cut(&second, true, &mut packets);
        prop_assert_eq!(reassemble(&mut packets), [first, second].concat());
    }

    #[test]
    fn no_bytes_make_the_assembler_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut input = BytesMut::from(&bytes[..]);
        let _ = Assembler::default().next(&mut input);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
        let _ = parse_batch(&text);
    }

    #[test]
    fn date_times_survive_their_text(milliseconds in 0_i64..4_000_000_000_000) {
        let time = std::time::UNIX_EPOCH
            + std::time::Duration::from_millis(u64::try_from(milliseconds).unwrap());
        let time = DateTime::from(time);
        let again: DateTime = time.to_string().parse().unwrap();
        prop_assert_eq!(time, again);
        prop_assert_eq!(again.unix_milliseconds(), milliseconds);
    }
}

#[test]
fn deep_parentheses_are_an_error_and_no_crash() {
    let text = format!("SELECT {}1", "(".repeat(1 << 20));
    assert_eq!(parse_batch(&text).unwrap_err().number, 102);
}

#[test]
fn types_survive_their_names() {
    for name in [
        "bit",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "real",
        "float",
        "datetime",
        "nvarchar(20)",
        "nvarchar(max)",
        "varchar(10)",
        "varchar(max)",
        "sql_variant",
    ] {
        assert_eq!(name.parse::<SqlType>().unwrap().to_string(), name);
    }
    assert!("geometry".parse::<SqlType>().is_err());
}

#[test]
fn encryption_is_agreed_as_the_protocol_says() {
    use Agreement::{Full, LoginOnly, Plain};
    use Encryption::{NotSupported, Off, On, Required};
    for (server, client, answer, agreement) in [
        (Off, Off, Off, LoginOnly),
        (Off, On, On, Full),
        (Off, Required, On, Full),
        (Off, NotSupported, NotSupported, Plain),
        (On, Off, Required, Full),
        (On, NotSupported, NotSupported, Plain),
        (Required, Off, Required, Full),
        (Required, NotSupported, Required, Full),
        (NotSupported, Required, NotSupported, Plain),
    ] {
        assert_eq!(prelogin::negotiate(server, client), (answer, agreement));
    }
}
