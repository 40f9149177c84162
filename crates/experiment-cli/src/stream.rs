//! Lines in, lines out: in order, on all cores, in bounded memory.
//!
//! A reader cuts the input into pieces of whole lines and deals them out in turn; every worker
//! answers its pieces in order; the writer collects them in the same turn. So the output is in the
//! order of the input without a place where results wait for each other. A fixed number of pieces
//! goes round, with their memory: that bounds what is read ahead.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

/// How many bytes of input a piece has, if its lines are not longer: its output, several times as
/// large, should stay in the cache of a core.
const PIECE: usize = 128 * 1024;

/// A buffer that one very long line has made larger than this is not kept.
const KEPT: usize = 8 * 1024 * 1024;

/// Some whole lines of the input, and what a worker makes of them.
#[derive(Default)]
pub(crate) struct Piece {
    /// Bytes of the input, of which those in `lines` count.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Number of the first line, from 1.
    first_line: u64,
    /// What to write.
    pub(crate) output: Vec<u8>,
    /// How many lines had errors.
    pub(crate) errors: u64,
}

impl Piece {
    /// The lines with their numbers, blank ones left out.
    pub(crate) fn lines(&mut self) -> (impl Iterator<Item = (u64, &[u8])>, &mut Vec<u8>, &mut u64) {
        let bytes = self.input.get(self.start..self.end).unwrap_or_default();
        let lines = Lines { rest: bytes }
            .zip(self.first_line..)
            .map(|(line, number)| (number, line))
            .filter(|(_, line)| !line.trim_ascii().is_empty());
        (lines, &mut self.output, &mut self.errors)
    }
}

/// The lines of some bytes, without their ends.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let line = self.rest.get(..end).unwrap_or_default();
        self.rest = self.rest.get(end.saturating_add(1)..).unwrap_or_default();
        Some(line)
    }
}

/// What a thread does with the pieces that it gets.
pub(crate) trait Work: Send + Sync + 'static {
    /// Called once per thread; calls [`Pieces::each`].
    fn work(&self, pieces: &Pieces);
}

/// The pieces of one thread.
pub(crate) struct Pieces {
    todo: Receiver<Piece>,
    done: Sender<Piece>,
}

impl Pieces {
    /// Hands over every piece, until there are no more or nobody wants them.
    pub(crate) fn each(&self, mut each: impl FnMut(&mut Piece)) {
        for mut piece in &self.todo {
            each(&mut piece);
            if self.done.send(piece).is_err() {
                return;
            }
        }
    }
}

/// Why a stream ended early.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The input could not be read.
    Read(io::Error),
    /// The output could not be written.
    Write(io::Error),
    /// A worker is gone.
    Worker,
}

/// Answers all lines of `input` and returns how many had errors. `progress` hears of every piece
/// that is done, how many bytes of the input it was.
///
/// # Errors
///
/// [`Stopped`]; what was answered until then has been written. If the output cannot be written the
/// reader may still be waiting for input: it ends with the process.
pub(crate) fn stream(
    input: Box<dyn Read + Send>,
    work: impl Work,
    threads: usize,
    output: &mut dyn Write,
    mut progress: impl FnMut(u64),
) -> Result<u64, Stopped> {
    let work = Arc::new(work);
    let (free, unused) = channel();
    for _ in 0..threads.saturating_mul(3).saturating_add(1) {
        // The receiver is two lines away and alive.
        let _ = free.send(Piece::default());
    }
    let mut queues = Vec::new();
    let mut results = Vec::new();
    for _ in 0..threads.max(1) {
        let (queue, todo) = channel();
        let (done, result) = channel();
        queues.push(queue);
        results.push(result);
        let work = Arc::clone(&work);
        thread::spawn(move || work.work(&Pieces { todo, done }));
    }
    let reader = thread::spawn(move || Reader::new(input).deal(&unused, &queues));

    let (mut written, mut errors) = (0_u64, 0_u64);
    for result in results.iter().cycle() {
        let Ok(mut piece) = result.recv() else {
            break;
        };
        output.write_all(&piece.output).map_err(Stopped::Write)?;
        written = written.saturating_add(1);
        errors = errors.saturating_add(piece.errors);
        progress(piece.end as u64);
        piece.output.clear();
        piece.output.shrink_to(KEPT);
        // Without a reader there is nothing left to be read.
        let _ = free.send(piece);
    }
    output.flush().map_err(Stopped::Write)?;
    match reader.join() {
        Ok(Ok(dealt)) if dealt == written => Ok(errors),
        Ok(Err(error)) => Err(Stopped::Read(error)),
        _ => Err(Stopped::Worker),
    }
}

/// Cuts the input into pieces.
struct Reader {
    input: Box<dyn Read + Send>,
    /// The beginning of a line whose end has not been read yet.
    begun: Vec<u8>,
    next_line: u64,
}

impl Reader {
    fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            begun: Vec::new(),
            next_line: 1,
        }
    }

    /// Deals pieces out to the queues in turn, and returns how many there were.
    fn deal(mut self, unused: &Receiver<Piece>, queues: &[Sender<Piece>]) -> io::Result<u64> {
        let mut dealt = 0_u64;
        for queue in queues.iter().cycle() {
            let Ok(mut piece) = unused.recv() else {
                break;
            };
            self.fill(&mut piece)?;
            if piece.start == piece.end || queue.send(piece).is_err() {
                break;
            }
            dealt = dealt.saturating_add(1);
        }
        Ok(dealt)
    }

    /// Reads until there is at least one whole line, and no further than one read beyond it: a
    /// program that waits for the answer to a line before it writes the next one gets it.
    fn fill(&mut self, piece: &mut Piece) -> io::Result<()> {
        let mut filled = self.begun.len();
        piece.input.truncate(KEPT);
        piece.input.shrink_to(KEPT);
        if piece.input.len() < filled.saturating_add(PIECE) {
            piece.input.resize(filled.saturating_add(PIECE), 0);
        }
        if let Some(place) = piece.input.get_mut(..filled) {
            place.copy_from_slice(&self.begun);
        }
        self.begun.clear();
        let end = loop {
            if filled == piece.input.len() {
                piece.input.resize(filled.saturating_mul(2), 0);
            }
            let place = piece.input.get_mut(filled..).unwrap_or_default();
            let read = match self.input.read(place) {
                Ok(0) => break filled,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let new = place.get(..read).unwrap_or_default();
            let last = memchr::memrchr(b'\n', new);
            let before = filled;
            filled = filled.saturating_add(read);
            if let Some(last) = last {
                break before.saturating_add(last).saturating_add(1);
            }
        };
        let rest = piece.input.get(end..filled).unwrap_or_default();
        self.begun.extend_from_slice(rest);
        let lines = piece.input.get(..end).unwrap_or_default();
        let marked = self.next_line == 1 && lines.starts_with(b"\xef\xbb\xbf");
        piece.start = if marked { 3 } else { 0 };
        piece.end = end;
        piece.first_line = self.next_line;
        piece.errors = 0;
        let ends = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.next_line = self.next_line.saturating_add(ends);
        Ok(())
    }
}
