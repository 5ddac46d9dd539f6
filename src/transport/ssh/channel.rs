//! Channels: a command's, with a task that always drains it, and a byte stream's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::dial::Link;
use crate::transport::pipe::{End, Event, Inbox, Input, Pipe, PipeEnds};

/// Starts a command on a fresh channel; the request goes out without waiting for its answer.
pub(super) fn run(channel: Channel<Msg>, command: &str, link: Arc<Link>) -> Pipe {
    let (pipe, ends) = Pipe::new();
    let PipeEnds { mut input, inbox, dropped } = ends;
    let (read, write) = channel.split();
    let gone = CancellationToken::new();
    tokio::spawn(drain(read, inbox, gone.clone(), link));
    let command = command.as_bytes().to_vec();
    tokio::spawn(async move {
        let talk = async {
            write.exec(true, command).await?;
            while let Some(input) = input.recv().await {
                match input {
                    Input::Data(bytes) => write.data_bytes(bytes).await?,
                    Input::Eof => write.eof().await?,
                }
            }
            Ok::<(), russh::Error>(())
        };
        tokio::select! {
            _ = talk => {}
            () = dropped.cancelled() => {}
            () = gone.cancelled() => {}
        }
        close(&write).await;
    });
    pipe
}

/// russh does not close a channel that is dropped, and the session at the other end would stay.
async fn close(write: &ChannelWriteHalf<Msg>) {
    write.close().await.ok();
}

async fn drain(
    mut read: ChannelReadHalf,
    inbox: Arc<Inbox>,
    gone: CancellationToken,
    link: Arc<Link>,
) {
    let mut end = None;
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => inbox.push(Event::Out(data.to_vec())),
            ChannelMsg::ExtendedData { data, ext: 1 } => inbox.push(Event::Err(data.to_vec())),
            ChannelMsg::ExitStatus { exit_status } => {
                end = Some(End::Status(i32::try_from(exit_status).unwrap_or(255)));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                end = Some(End::Lost(format!("the shell was ended by signal {signal_name:?}")));
            }
            ChannelMsg::Failure => {
                end = Some(End::Lost("the host refuses to run commands".to_owned()));
                break;
            }
            // Data may still follow an exit status: only the close is the end.
            _ => {}
        }
    }
    inbox.end(end.unwrap_or_else(|| End::Lost(link.why_closed())));
    gone.cancel();
}

/// A byte stream through a channel. It is drained whether or not it is read, up to a limit past which it breaks.
pub(super) fn stream(channel: Channel<Msg>, link: Arc<Link>) -> ChannelBytes {
    let (mut read, write) = channel.split();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut take, mut give) = tokio::io::split(far);
    let inbox = Arc::new(Inbox::default());
    let filling = Arc::clone(&inbox);
    let (gone, dropped) = (CancellationToken::new(), CancellationToken::new());
    let ended = gone.clone();
    tokio::spawn(async move {
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => filling.push(Event::Out(data.to_vec())),
                ChannelMsg::Eof => filling.end(End::Status(0)),
                _ => {}
            }
        }
        filling.end(End::Status(0));
        ended.cancel();
        drop(link);
    });
    tokio::spawn(async move {
        while let Event::Out(bytes) = inbox.next().await {
            if give.write_all(&bytes).await.is_err() {
                return;
            }
        }
        give.shutdown().await.ok();
    });
    let abandoned = dropped.clone();
    tokio::spawn(async move {
        let talk = async {
            let mut buffer = vec![0; 32 * 1024];
            while let Ok(size @ 1..) = take.read(&mut buffer).await {
                let bytes = buffer.get(..size).unwrap_or_default().to_vec();
                if write.data_bytes(bytes).await.is_err() {
                    break;
                }
            }
            write.eof().await.ok();
            // Our end of the talk is over, theirs may not be.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = talk => {}
            () = gone.cancelled() => {}
            () = abandoned.cancelled() => {}
        }
        close(&write).await;
    });
    ChannelBytes { near, _closes: dropped.drop_guard() }
}

/// The near end of a byte stream through a channel; the channel is closed when it is dropped.
#[derive(Debug)]
pub(super) struct ChannelBytes {
    near: DuplexStream,
    _closes: DropGuard,
}

impl AsyncRead for ChannelBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_read(context, buffer)
    }
}

impl AsyncWrite for ChannelBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.near).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_shutdown(context)
    }
}
