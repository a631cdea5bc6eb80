//! A way to a server that can be closed, and lets through as many bytes of answers as it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(super) struct Gate {
    pub(super) address: SocketAddr,
    left: Arc<AtomicI64>,
    passed: Arc<AtomicI64>,
    /// Changes whenever it is closed or opened: what goes on then is cut.
    turned: watch::Sender<()>,
    served: JoinHandle<()>,
}

impl Gate {
    /// An open one.
    pub(super) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (left, passed) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::new(AtomicI64::new(0)));
        let (turned, turns) = watch::channel(());
        let counters = (Arc::clone(&left), Arc::clone(&passed));
        let served = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let ((left, passed), mut turns) = (counters.clone(), turns.clone());
                tokio::spawn(async move {
                    turns.mark_unchanged();
                    tokio::select! {
                        () = pass(client, server, &left, &passed) => {}
                        _ = turns.changed() => {}
                    }
                });
            }
        });
        Self { address, left, passed, turned, served }
    }

    /// Lets so many bytes of answers through from here on.
    pub(super) fn let_through(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
        self.turned.send_replace(());
    }

    pub(super) fn close(&self) {
        self.let_through(0);
    }

    pub(super) fn open(&self) {
        self.let_through(i64::MAX);
    }

    /// Whether as much went through as was to.
    pub(super) fn is_closed(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    /// Bytes of answers that went through.
    pub(super) fn passed(&self) -> i64 {
        self.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn pass(mut client: TcpStream, server: SocketAddr, left: &AtomicI64, passed: &AtomicI64) {
    if left.load(Ordering::SeqCst) <= 0 {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    let ((mut from, mut to), (mut answers, mut questions)) = (client.split(), server.split());
    let asking = async {
        let _ = tokio::io::copy(&mut from, &mut questions).await;
    };
    let answering = async {
        let mut buffer = vec![0; 4096];
        while let Ok(n @ 1..) = answers.read(&mut buffer).await {
            let n = n as i64;
            passed.fetch_add(n, Ordering::SeqCst);
            let open = left.fetch_sub(n, Ordering::SeqCst) >= n;
            if !open || to.write_all(&buffer[..n as usize]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}
