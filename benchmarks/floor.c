/* The floor: what the kernel costs. Every read is answered with the same octets; no HTTP is understood. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\nserver: floor\r\n"
                             "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\nHello, world";

int main(int count, char **words) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), loop = epoll_create1(0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[128];
    char request[65536];
    address.sin_port = htons(count > 1 ? atoi(words[1]) : 8000);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) return 1;
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int events = epoll_wait(loop, ready, 128, -1);
        for (int i = 0; i < events; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                event.data.fd = accept(listener, NULL, NULL);
                setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                epoll_ctl(loop, EPOLL_CTL_ADD, event.data.fd, &event);
            } else if (read(fd, request, sizeof request) <= 0) close(fd);
            else if (write(fd, answer, sizeof answer - 1) < 0) close(fd);
        }
    }
}
