//! A wire to PostgreSQL of which some connections can go dead without a sign: they stay open and carry nothing more.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::Stage;

/// A connection: the first bytes of what its client said, and whether it is dead.
#[derive(Default)]
struct Line {
    said: Vec<u8>,
    dead: bool,
}

/// The wire. It ends with the test.
pub struct Wire {
    /// Where the database is, by this wire.
    pub database_url: String,
    lines: Arc<Mutex<Vec<Arc<Mutex<Line>>>>>,
}

impl Wire {
    /// A wire to the test's database.
    pub async fn to(stage: &Stage) -> Self {
        let config: Config = stage.database_url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (user, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        let password = config.get_password().map(|word| format!(":{}", String::from_utf8_lossy(word)));
        let address = listener.local_addr().unwrap();
        let database_url = format!("postgres://{user}{}@{address}/{name}", password.unwrap_or_default());
        let lines: Arc<Mutex<Vec<Arc<Mutex<Line>>>>> = Arc::default();
        let known = Arc::clone(&lines);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let line: Arc<Mutex<Line>> = Arc::default();
                known.lock().unwrap().push(Arc::clone(&line));
                let port = config.get_ports().first().copied().unwrap_or(5432);
                match config.get_hosts() {
                    [Host::Tcp(host), ..] => join(client, TcpStream::connect((host.as_str(), port)).await, line),
                    [Host::Unix(folder), ..] => {
                        join(client, UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await, line);
                    }
                    [] => panic!("DATABASE_URL names no host"),
                }
            }
        });
        Self { database_url, lines }
    }

    /// How many connections are alive whose clients have said this.
    pub fn alive(&self, said: &str) -> usize {
        self.of(said).iter().filter(|line| !line.lock().unwrap().dead).count()
    }

    /// Lets those connections go dead.
    pub fn silence(&self, said: &str) {
        self.of(said).iter().for_each(|line| line.lock().unwrap().dead = true);
    }

    fn of(&self, said: &str) -> Vec<Arc<Mutex<Line>>> {
        let has_said = |line: &&Arc<Mutex<Line>>| {
            line.lock().unwrap().said.windows(said.len()).any(|window| window == said.as_bytes())
        };
        self.lines.lock().unwrap().iter().filter(has_said).cloned().collect()
    }
}

fn join(
    client: TcpStream,
    server: std::io::Result<impl AsyncRead + AsyncWrite + Send + 'static>,
    line: Arc<Mutex<Line>>,
) {
    // A server that is away is one for the client as well.
    let Ok(server) = server else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = tokio::io::split(server);
    tokio::spawn(carry(from_client, to_server, Arc::clone(&line), true));
    tokio::spawn(carry(from_server, to_client, line, false));
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, line: Arc<Mutex<Line>>, note: bool) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let dead = {
            let mut line = line.lock().unwrap();
            if note && line.said.len() < bytes.len() {
                line.said.extend(&bytes[..count]);
            }
            line.dead
        };
        if !dead && to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    // Whoever is at the other end learns that this one has gone, unless the line is dead.
    if !line.lock().unwrap().dead {
        let _ = to.shutdown().await;
    }
}
