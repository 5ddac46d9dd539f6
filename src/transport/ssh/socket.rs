//! The TCP socket under an SSH connection, and the other streams one may run over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that acknowledges at once.
///
/// sshd starts a session with Nagle's algorithm on; against a delayed acknowledgement that costs 40 ms at several points
/// of a connection's start (118 ms to the first command, 32 ms with this). The kernel forgets the flag, so it is set
/// round each read.
#[derive(Debug)]
pub(super) struct PromptStream(TcpStream);

impl PromptStream {
    /// Wraps a connected stream: no Nagle, keep-alive on.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let alive = TcpKeepalive::new()
            .with_time(Duration::from_secs(30))
            .with_interval(Duration::from_secs(10));
        SockRef::from(&stream).set_tcp_keepalive(&alive)?;
        Ok(Self(stream))
    }

    fn acknowledge_at_once(&self) {
        // A hint to the kernel: where it is not taken, all still works.
        SockRef::from(&self.0).set_tcp_quickack(true).ok();
    }
}

impl AsyncRead for PromptStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.acknowledge_at_once();
        let result = Pin::new(&mut self.0).poll_read(context, buffer);
        if result.is_ready() {
            self.acknowledge_at_once();
        }
        result
    }
}

impl AsyncWrite for PromptStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
