//! A client that costs as little as possible: one connection, one answer of known length after the other.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// A connection that is kept alive.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// The whole answer, head and body, as text.
    pub(crate) fn ask(&mut self, request: &str) -> io::Result<String> {
        self.0.write_all(request.as_bytes())?;
        let (mut answer, mut chunk) = (Vec::new(), [0; 16 * 1024]);
        loop {
            let count = self.0.read(&mut chunk)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            if head.contains(" 304 ") || header(head, "content-length").is_none_or(|it| it == body.len().to_string()) {
                return Ok(text.into_owned());
            }
        }
    }

    /// Sends the request so many times; each answer must be as long as `answer` was.
    fn repeat(&mut self, request: &str, answer: &str, count: usize) -> io::Result<Vec<Duration>> {
        let mut buffer = vec![0; answer.len()];
        let mut durations = Vec::with_capacity(count);
        for _ in 0..count {
            let start = Instant::now();
            self.0.write_all(request.as_bytes())?;
            self.0.read_exact(&mut buffer)?;
            durations.push(start.elapsed());
        }
        assert_eq!(buffer.split(|byte| *byte == b'\n').next(), answer.as_bytes().split(|byte| *byte == b'\n').next());
        Ok(durations)
    }
}

/// A GET of `path` with one more header, or none.
pub(crate) fn get(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: keyset\r\n{header}\r\n")
}

/// The value of a header of an answer.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let is_it = |line: &&str| line.split_once(':').is_some_and(|(it, _)| it.eq_ignore_ascii_case(name));
    Some(head.lines().find(is_it)?.split_once(':')?.1.trim())
}

/// How long each of many requests took over a few connections at once, and how long all of them.
pub(crate) fn load(address: SocketAddr, request: &str) -> io::Result<(Vec<Duration>, Duration)> {
    let answer = Connection::open(address)?.ask(request)?;
    let mut connections = (0..CONNECTIONS).map(|_| Connection::open(address)).collect::<io::Result<Vec<_>>>()?;
    for connection in &mut connections {
        connection.repeat(request, &answer, WARM_UP)?;
    }
    let start = Instant::now();
    let durations = thread::scope(|scope| {
        let threads: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(|| connection.repeat(request, &answer, REQUESTS / CONNECTIONS)))
            .collect();
        threads.into_iter().map(|it| it.join().expect("a client panicked")).collect::<io::Result<Vec<_>>>()
    })?;
    Ok((durations.concat(), start.elapsed()))
}

const CONNECTIONS: usize = 4;
const REQUESTS: usize = 40_000;
const WARM_UP: usize = 200;
const PATIENCE: Duration = Duration::from_secs(5);
