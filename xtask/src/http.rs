//! A small HTTP/1.1 client: one request on one connection, bodies streamed both
//! ways; or a line that stays open for many short ones.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(3);

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
}

impl Address {
    /// What requests call the server.
    fn host(&self) -> &str {
        match self {
            Self::Unix(_) => "docker",
            Self::Tcp(host) => host,
        }
    }
}

/// What is sent after the head.
pub(crate) enum Body<'a> {
    Empty,
    Json(&'a serde_json::Value),
    /// Sent in chunks as it is read. When reading fails the request is broken
    /// off, so that the server never takes a part for the whole.
    Stream(&'a mut dyn Read),
}

/// How long a silence may last.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// Until the head of the answer comes.
    pub(crate) first: Duration,
    /// Between two pieces of its body.
    pub(crate) between: Duration,
}

impl Patience {
    /// The same limit for both.
    pub(crate) fn of(limit: Duration) -> Self {
        Self { first: limit, between: limit }
    }
}

/// An answer whose head has come; its body is read as it arrives.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Box<dyn BufRead>,
}

impl Answer {
    /// The whole body as text.
    pub(crate) fn text(mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.body.read_to_end(&mut bytes).context("the answer broke off")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A stream of either kind.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            Address::Tcp(host) => {
                let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
                for address in host.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(stream) => return Ok(Self::Tcp(stream)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    fn limit_reads(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Unix(stream) => stream.read(into),
            Self::Tcp(stream) => stream.read(into),
        };
        // A read that ran into its limit is reported as "would block".
        read.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "no answer in time"),
            _ => error,
        })
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.flush(),
            Self::Tcp(stream) => stream.flush(),
        }
    }
}

/// Sends one request and waits for the head of its answer.
///
/// Errors when the server cannot be reached, when the body to send cannot be
/// read, and when no answer comes in time. A status of 400 and up is no error.
pub(crate) fn send(
    address: &Address,
    method: &str,
    path: &str,
    body: Body<'_>,
    patience: Patience,
) -> io::Result<Answer> {
    let mut stream = Stream::open(address)?;
    stream.limit_reads(patience.first)?;
    let host = address.host();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    match body {
        Body::Empty => stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes())?,
        Body::Json(value) => {
            let text = value.to_string();
            let kind = "Content-Type: application/json\r\nContent-Length";
            stream.write_all(format!("{head}{kind}: {}\r\n\r\n{text}", text.len()).as_bytes())?;
        }
        Body::Stream(source) => {
            let kind = "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(format!("{head}{kind}").as_bytes())?;
            send_chunks(&mut stream, source)?;
        }
    }
    receive(BufReader::new(stream), patience.between)
}

fn send_chunks(stream: &mut Stream, source: &mut dyn Read) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = source.read(&mut buffer)?;
        let sent = write!(stream, "{count:x}\r\n")
            .and_then(|()| stream.write_all(&buffer[..count]))
            .and_then(|()| stream.write_all(b"\r\n"));
        match sent {
            // A server that refuses answers before it has read all, and closes: its answer tells why.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                return Ok(());
            }
            Err(error) => return Err(error),
            Ok(()) if count == 0 => return Ok(()),
            Ok(()) => {}
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the answer is not HTTP: {what}"))
}

/// What stands before a body.
struct Head {
    status: u16,
    length: Option<u64>,
    chunked: bool,
}

fn read_head(reader: &mut impl BufRead) -> io::Result<Head> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| malformed("no status line"))?;
    let mut head = Head { status, length: None, chunked: false };
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Err(malformed("its head broke off"));
        }
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        match header.split_once(':').map(|(name, value)| (name, value.trim())) {
            Some(("content-length", value)) => {
                head.length = Some(value.parse().map_err(|_| malformed("its length is no number"))?);
            }
            Some(("transfer-encoding", value)) => head.chunked = value == "chunked",
            _ => {}
        }
    }
    // These never have a body, and say no length.
    if matches!(status, 204 | 304) {
        head.length = Some(0);
    }
    Ok(head)
}

fn receive(mut reader: BufReader<Stream>, between: Duration) -> io::Result<Answer> {
    let head = read_head(&mut reader)?;
    reader.get_ref().limit_reads(between)?;
    let body: Box<dyn BufRead> = match (head.chunked, head.length) {
        (true, _) => Box::new(BufReader::new(Chunks::of(reader))),
        (false, Some(length)) => Box::new(reader.take(length)),
        (false, None) => Box::new(reader),
    };
    Ok(Answer { status: head.status, body })
}

/// A connection that stays open: one request after another, each answer read whole.
pub(crate) struct Line {
    host: String,
    reader: BufReader<Stream>,
}

impl Line {
    /// Opens a connection.
    pub(crate) fn open(address: &Address, patience: Duration) -> io::Result<Self> {
        let stream = Stream::open(address)?;
        stream.limit_reads(patience)?;
        Ok(Self { host: address.host().to_owned(), reader: BufReader::new(stream) })
    }

    /// Sends a request; returns the answer's status and text. A status of 400 and up is no error.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> io::Result<(u16, String)> {
        self.send(method, path, body)?;
        self.receive()
    }

    /// Sends a request whose answer is not waited for.
    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> io::Result<()> {
        let text = body.map(ToString::to_string).unwrap_or_default();
        let kind = if body.is_some() { "Content-Type: application/json\r\n" } else { "" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{kind}Content-Length: {}\r\n\r\n{text}",
            self.host,
            text.len()
        );
        self.reader.get_mut().write_all(request.as_bytes())
    }

    fn receive(&mut self) -> io::Result<(u16, String)> {
        let head = read_head(&mut self.reader)?;
        let mut bytes = Vec::new();
        match (head.chunked, head.length) {
            (true, _) => drop(Chunks::of(&mut self.reader).read_to_end(&mut bytes)?),
            (false, Some(length)) => {
                self.reader.by_ref().take(length).read_to_end(&mut bytes)?;
                if bytes.len() as u64 != length {
                    return Err(malformed("its body broke off"));
                }
            }
            (false, None) => return Err(malformed("nothing says where its body ends")),
        }
        Ok((head.status, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Reads a body that comes in chunks.
struct Chunks<R> {
    inner: R,
    left: u64,
    ended: bool,
}

impl<R: BufRead> Chunks<R> {
    fn of(inner: R) -> Self {
        Self { inner, left: 0, ended: false }
    }
}

impl<R: BufRead> Read for Chunks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            let mut line = String::new();
            self.inner.read_line(&mut line)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            self.left = u64::from_str_radix(digits, 16).map_err(|_| malformed("a chunk without a size"))?;
            self.ended = self.left == 0;
            if self.ended {
                // What follows the last chunk ends with an empty line, and must not be taken for another answer.
                let mut trailer = String::new();
                while self.inner.read_line(&mut trailer)? > 0 && !trailer.trim().is_empty() {
                    trailer.clear();
                }
            }
        }
        if self.ended {
            return Ok(0);
        }
        let wanted = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut into[..wanted])?;
        if count == 0 {
            return Err(malformed("it broke off inside a chunk"));
        }
        self.left -= count as u64;
        if self.left == 0 {
            self.inner.read_line(&mut String::new())?;
        }
        Ok(count)
    }
}

/// Reads what `DOCKER_HOST` may hold.
pub(crate) fn parse_host(text: &str) -> Result<Address> {
    match text.split_once("://") {
        Some(("unix", path)) if !path.is_empty() => Ok(Address::Unix(PathBuf::from(path))),
        Some(("tcp" | "http", host)) => {
            let host = host.trim_end_matches('/');
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            Ok(Address::Tcp(if has_port { host.to_owned() } else { format!("{host}:2375") }))
        }
        _ => bail!("DOCKER_HOST is {text:?}: only unix:// and tcp:// without TLS are understood here"),
    }
}

/// Escapes a value of a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread::{self, JoinHandle};

    use tempfile::TempDir;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// A server for one request: what it was sent, after it has answered.
    fn serve(answer: &'static str) -> (Address, TempDir, JoinHandle<Vec<u8>>) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut got = Vec::new();
            let mut buffer = [0; 1024];
            loop {
                let chunked = got.windows(7).any(|window| window == b"chunked");
                if got.ends_with(if chunked { b"\r\n0\r\n\r\n" } else { b"\r\n\r\n" }) {
                    break;
                }
                match stream.read(&mut buffer).expect("a request") {
                    0 => return got,
                    count => got.extend_from_slice(&buffer[..count]),
                }
            }
            stream.write_all(answer.as_bytes()).expect("an answer");
            got
        });
        (Address::Unix(path), directory, thread)
    }

    #[test]
    fn an_answer_is_read_by_length_in_chunks_and_to_the_end() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and what does not belong to it",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            let (address, _directory, server) = serve(answer);
            let got = send(&address, "GET", "/_ping", Body::Empty, Patience::of(SOON)).expect("an answer");
            assert_eq!(got.status, 200);
            assert_eq!(got.text().expect("a body"), "hello");
            let request = String::from_utf8(server.join().expect("a server")).expect("text");
            assert!(request.starts_with("GET /_ping HTTP/1.1\r\n"), "{request}");
        }
    }

    #[test]
    fn a_body_is_sent_in_chunks() {
        let (address, _directory, server) = serve("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
        let mut source = io::Cursor::new(b"twelve bytes".to_vec());
        let got =
            send(&address, "POST", "/x", Body::Stream(&mut source), Patience::of(SOON)).expect("an answer");
        assert_eq!(got.status, 204);
        let request = String::from_utf8(server.join().expect("a server")).expect("text");
        assert!(request.ends_with("\r\n\r\nc\r\ntwelve bytes\r\n0\r\n\r\n"), "{request}");
    }

    #[test]
    fn a_body_that_fails_is_never_ended() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the source is broken"))
            }
        }
        let (address, _directory, server) = serve("HTTP/1.1 200 OK\r\n\r\n");
        let sent = send(&address, "POST", "/x", Body::Stream(&mut Broken), Patience::of(SOON));
        assert!(sent.is_err_and(|error| error.to_string().contains("the source is broken")));
        let request = server.join().expect("a server");
        assert!(!request.ends_with(b"0\r\n\r\n"));
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let _listener = UnixListener::bind(&path).expect("a socket");
        let limit = Patience::of(Duration::from_millis(50));
        let sent = send(&Address::Unix(path), "GET", "/", Body::Empty, limit);
        assert!(sent.is_err_and(|error| error.kind() == ErrorKind::TimedOut));
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        let (address, _directory, _server) =
            serve("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nonly this");
        let got = send(&address, "GET", "/", Body::Empty, Patience::of(SOON)).expect("a head");
        assert!(got.text().is_err());
    }

    #[test]
    fn a_line_stays_open_from_one_answer_to_the_next() {
        let answers = [
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\nx: y\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha",
        ];
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut reader = BufReader::new(stream);
            for answer in answers {
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    reader.read_line(&mut request).expect("a request");
                }
                assert_eq!(request, "GET /x HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n");
                reader.get_mut().write_all(answer.as_bytes()).expect("an answer");
            }
        });
        let mut line = Line::open(&Address::Unix(path), SOON).expect("a line");
        let mut call = || line.call("GET", "/x", None);
        assert_eq!(call().expect("an answer"), (200, "he".to_owned()));
        assert_eq!(call().expect("an answer"), (204, String::new()));
        assert_eq!(call().expect("an answer"), (404, "none".to_owned()));
        assert!(call().is_err(), "half a body is not an answer");
        server.join().expect("a server");
    }

    #[test]
    fn hosts_are_read_and_values_escaped() {
        assert_eq!(parse_host("unix:///run/x.sock").ok(), Some(Address::Unix("/run/x.sock".into())));
        assert_eq!(parse_host("tcp://10.0.0.1:2376").ok(), Some(Address::Tcp("10.0.0.1:2376".into())));
        assert_eq!(parse_host("tcp://there").ok(), Some(Address::Tcp("there:2375".into())));
        assert!(parse_host("ssh://me@there").is_err());
        assert_eq!(escaped("CMD [\"a b\"]"), "CMD%20%5B%22a%20b%22%5D");
    }
}
