//! A way to a server that can be closed and led elsewhere, lets through as many bytes of answers as it is told to, and can
//! lose answers on the way.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    way: Arc<Way>,
    /// Changes whenever it is closed or opened: what goes on then is cut.
    turned: watch::Sender<()>,
    served: JoinHandle<()>,
}

struct Way {
    server: Mutex<Option<SocketAddr>>,
    left: AtomicI64,
    passed: AtomicI64,
    asked: watch::Sender<i64>,
    loses: AtomicBool,
    lost: AtomicI64,
}

impl Gate {
    /// An open one.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let gate = Self::start().await;
        gate.lead(server);
        gate
    }

    /// An open one that leads nowhere yet.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Way {
            server: Mutex::new(None),
            left: AtomicI64::new(i64::MAX),
            passed: AtomicI64::new(0),
            asked: watch::Sender::new(0),
            loses: AtomicBool::new(false),
            lost: AtomicI64::new(0),
        });
        let (turned, turns) = watch::channel(());
        let shared = Arc::clone(&way);
        let served = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (way, mut turns) = (Arc::clone(&shared), turns.clone());
                tokio::spawn(async move {
                    turns.mark_unchanged();
                    tokio::select! {
                        () = way.pass(client) => {}
                        _ = turns.changed() => {}
                    }
                });
            }
        });
        Self { address, way, turned, served }
    }

    /// Where it leads to from here on.
    pub(crate) fn lead(&self, server: SocketAddr) {
        *self.way.server.lock().unwrap() = Some(server);
    }

    /// Lets so many bytes of answers through from here on.
    pub(crate) fn let_through(&self, bytes: i64) {
        self.way.loses.store(false, Ordering::SeqCst);
        self.way.left.store(bytes, Ordering::SeqCst);
        self.turned.send_replace(());
    }

    pub(crate) fn close(&self) {
        self.let_through(0);
    }

    pub(crate) fn open(&self) {
        self.let_through(i64::MAX);
    }

    /// Questions go through and their answers are lost, until it is closed or opened.
    pub(crate) fn lose_answers(&self) {
        self.way.lost.store(0, Ordering::SeqCst);
        self.way.loses.store(true, Ordering::SeqCst);
    }

    /// Whether as much went through as was to.
    pub(crate) fn is_closed(&self) -> bool {
        self.way.left.load(Ordering::SeqCst) <= 0
    }

    /// Bytes of answers that went through.
    pub(crate) fn passed(&self) -> i64 {
        self.way.passed.load(Ordering::SeqCst)
    }

    /// Until the first bytes of a question from here on went through.
    pub(crate) fn question(&self) -> impl Future<Output = ()> + use<> {
        let mut asked = self.way.asked.subscribe();
        async move { asked.changed().await.unwrap() }
    }

    /// Bytes of answers that were lost since it was told to lose them.
    pub(crate) fn lost(&self) -> i64 {
        self.way.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.served.abort();
    }
}

impl Way {
    async fn pass(&self, mut client: TcpStream) {
        let server = *self.server.lock().unwrap();
        let Some(server) = server.filter(|_| self.left.load(Ordering::SeqCst) > 0) else { return };
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        let ((mut from, mut to), (mut answers, mut questions)) = (client.split(), server.split());
        let asking = async {
            let mut buffer = vec![0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer).await {
                if questions.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
                self.asked.send_modify(|asked| *asked += n as i64);
            }
        };
        let answering = async {
            let mut buffer = vec![0; 4096];
            while let Ok(n @ 1..) = answers.read(&mut buffer).await {
                let bytes = n as i64;
                if self.loses.load(Ordering::SeqCst) {
                    self.lost.fetch_add(bytes, Ordering::SeqCst);
                    continue;
                }
                self.passed.fetch_add(bytes, Ordering::SeqCst);
                let open = self.left.fetch_sub(bytes, Ordering::SeqCst) >= bytes;
                if !open || to.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = asking => {}
            () = answering => {}
        }
    }
}
