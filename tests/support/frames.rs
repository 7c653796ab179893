//! Frames of HTTP/2, written by hand, for what no proper client sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;

/// What a frame is.
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Opens a connection with these settings of ours.
pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let settings: Vec<u8> =
        settings.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    let opening = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &settings)].concat();
    stream.write_all(&opening).await.unwrap();
    stream
}

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A whole GET.
pub fn get(stream: u32, path: &str, token: Option<&str>) -> Vec<u8> {
    // GET, http; the path and the host as they are, and in no table.
    let mut block = vec![0x82, 0x86];
    text(&mut block, 4, path);
    text(&mut block, 1, "test");
    if let Some(token) = token {
        block.push(0);
        string(&mut block, "authorization");
        string(&mut block, &format!("Bearer {token}"));
    }
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// Takes a request back.
pub fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

fn text(block: &mut Vec<u8>, name: u8, value: &str) {
    block.push(name);
    string(block, value);
}

fn string(block: &mut Vec<u8>, value: &str) {
    // A length of seven bits, and what is more than they hold in bytes of seven.
    match value.len() {
        short @ 0..127 => block.push(u8::try_from(short).unwrap()),
        long => {
            block.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend_from_slice(value.as_bytes());
}

/// The next frame: its kind, flags, stream and payload; `None` when the connection is over.
pub async fn next(stream: &mut TcpStream) -> Option<(u8, u8, u32, Vec<u8>)> {
    let reading = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the connection neither says anything nor ends")
}
