//! A response under construction: which DONE token follows what, and when bytes leave.

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use super::super::messages::SqlError;
use super::super::tds::token::{
    self, CurrentCommand, DONE_COUNT, DONE_ERROR, DONE_MORE, Done, DoneKind, Notice,
};
use super::super::tds::value::{Mismatch, ResultSet};

/// The number of bytes gathered before they are handed on, so that a large result does not sit in memory as
/// a whole.
const CHUNK_BYTES: usize = 64 << 10;

pub struct Response {
    server: String,
    buffer: BytesMut,
    chunks: mpsc::Sender<Bytes>,
    /// The DONE of the last statement; whether more follows is known only later.
    pending: Option<Done>,
    procedure_depth: u32,
    flushed: usize,
}

impl Response {
    pub fn new(server: String, chunks: mpsc::Sender<Bytes>) -> Self {
        Self {
            server,
            buffer: BytesMut::new(),
            chunks,
            pending: None,
            procedure_depth: 0,
            flushed: 0,
        }
    }

    /// Returns the buffer, for tokens that need no DONE of their own: ENVCHANGE.
    pub fn raw(&mut self) -> &mut BytesMut {
        self.settle();
        &mut self.buffer
    }

    pub async fn result_set(&mut self, result: &ResultSet) -> Result<(), Mismatch> {
        self.settle();
        token::put_columns(result, &mut self.buffer);
        token::put_rows(result, &mut self.buffer)?;
        let rows = u64::try_from(result.rows.len()).unwrap_or(u64::MAX);
        self.statement_done(DONE_COUNT, CurrentCommand::Select, rows);
        if self.buffer.len() > CHUNK_BYTES {
            self.flush().await;
        }
        Ok(())
    }

    pub fn rows_affected(&mut self, command: CurrentCommand, rows: u64) {
        self.settle();
        self.statement_done(DONE_COUNT, command, rows);
    }

    pub fn empty(&mut self) {
        self.settle();
        self.statement_done(0, CurrentCommand::Other, 0);
    }

    pub fn notice(&mut self, error: &SqlError) {
        self.settle();
        token::put_notice(
            Notice {
                number: error.number,
                state: error.state,
                class: error.class(),
                message: &error.message(),
                server: &self.server,
                procedure: "",
                line: 1,
            },
            &mut self.buffer,
        );
    }

    /// Ends a statement with an error.
    pub fn error(&mut self, error: &SqlError) {
        self.notice(error);
        self.statement_done(DONE_ERROR, CurrentCommand::Other, 0);
    }

    pub fn begin_procedure(&mut self) {
        self.settle();
        self.procedure_depth += 1;
    }

    pub fn end_procedure(&mut self, status: i32) {
        self.settle();
        token::put_return_status(status, &mut self.buffer);
        self.procedure_depth -= 1;
        let done = Done {
            kind: DoneKind::Procedure,
            flags: 0,
            command: CurrentCommand::Execute,
            rows: 0,
        };
        self.finish_statement(done);
    }

    /// Sends what there is; used where the next bytes may be long in coming. More will follow.
    pub async fn flush(&mut self) {
        self.settle();
        let bytes = self.buffer.split().freeze();
        self.flushed += bytes.len();
        // The receiver is gone only when the connection is, and then this task is about to be dropped.
        let _ = self.chunks.send(bytes).await;
    }

    /// Returns the number of bytes of the answer so far.
    pub fn bytes(&self) -> usize {
        self.flushed + self.buffer.len()
    }

    /// Returns the rest of the response, its last DONE without the "more" bit.
    pub fn finish(mut self) -> Bytes {
        // A batch without statements is answered too.
        let done = self.pending.take().unwrap_or(Done {
            kind: DoneKind::Done,
            flags: 0,
            command: CurrentCommand::Other,
            rows: 0,
        });
        token::put_done(done, &mut self.buffer);
        self.buffer.freeze()
    }

    fn statement_done(&mut self, flags: u16, command: CurrentCommand, rows: u64) {
        let kind = if self.procedure_depth > 0 {
            DoneKind::InProcedure
        } else {
            DoneKind::Done
        };
        self.finish_statement(Done {
            kind,
            flags,
            command,
            rows,
        });
    }

    fn finish_statement(&mut self, done: Done) {
        if self.procedure_depth > 0 {
            let flags = done.flags | DONE_MORE;
            token::put_done(Done { flags, ..done }, &mut self.buffer);
        } else {
            self.pending = Some(done);
        }
    }

    fn settle(&mut self) {
        if let Some(done) = self.pending.take() {
            let flags = done.flags | DONE_MORE;
            token::put_done(Done { flags, ..done }, &mut self.buffer);
        }
    }
}
