/* bind_http.c: a small HTTP server for `drift watch`, through GNU libmicrohttpd. It listens on 127.0.0.1 and nowhere
 * else, answers GET and HEAD alone, and asks a function of Lua for what is at a path: no path ever reaches the disk
 * here. All happens in the thread that calls run(), so the function may use Lua as any other.
 *
 * A page elsewhere may give its own name the address 127.0.0.1 (DNS rebinding) and so read what is served here; the
 * Host header then has that name, and is refused. Clients are not trusted to be quick or to be few: see the limits. */
#include "bind.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#ifdef DRIFT_HAS_MICROHTTPD
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { TOO_LARGE = 413,           /* its name in libmicrohttpd is another in other versions */
       CONNECTIONS = 64,          /* at once; others wait */
       REQUEST_BYTES = 16 * 1024, /* memory of a connection: the request line and all headers */
       IDLE_SECONDS = 5,          /* without a byte in either direction */
       REQUEST_SECONDS = 8,       /* for a request, however often a byte of it comes */
       ANSWER_SECONDS = 120       /* for taking the answer, which may go through a slow ssh -L */ };

typedef struct connection {
    int fd; /* -1: free */
    double end; /* when it has to have come on, on now()'s clock */
} connection;

typedef struct server {
    struct MHD_Daemon *daemon; /* NULL: closed */
    lua_State *L;              /* of the call of run() that is at work */
    int port;
    connection open[CONNECTIONS];
    struct sigaction interrupt, terminate, pipe; /* as they were */
} server;

static volatile sig_atomic_t ended; /* SIGINT or SIGTERM came */

static void end(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */
/* The page carries its own script and style, and talks to nobody but this server. */
static const char *const headers[][2] = {
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
      "font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    { "X-Content-Type-Options", "nosniff" },
    { "X-Frame-Options", "DENY" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Referrer-Policy", "no-referrer" },
    { "Cache-Control", "no-cache" },
};

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type, const char *etag,
                              const char *body, size_t n)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(n, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (etag) MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const enum MHD_Result result = MHD_queue_response(c, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *text)
{
    return answer(c, status, "text/plain; charset=utf-8", NULL, text, strlen(text));
}

/* ---- the request ------------------------------------------------------------------------------------------------- */
/* Any port: the one that a browser sees is another where it comes through ssh -L. */
static bool is_this_machine(const char *host)
{
    static const char *const names[] = { "127.0.0.1", "localhost", "[::1]" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) != 0) continue;
        if (host[n] == '\0') return true;
        const size_t digits = strspn(host + n + (host[n] == ':'), "0123456789");
        if (host[n] == ':' && digits > 0 && digits <= 5 && host[n + 1 + digits] == '\0') return true;
    }
    return false;
}

typedef struct hosts {
    int count, good;
} hosts;

static enum MHD_Result count_host(void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)kind;
    hosts *h = context;
    if (strcasecmp(key, MHD_HTTP_HEADER_HOST) != 0) return MHD_YES;
    h->count++;
    h->good += value && is_this_machine(value);
    return MHD_YES;
}

typedef struct request {
    struct MHD_Connection *connection;
    const char *path;
    enum MHD_Result result;
} request;

static int ask_lua(lua_State *L) /* the function; light userdata: request */
{
    request *r = lua_touserdata(L, 2);
    lua_pushvalue(L, 1);
    lua_pushstring(L, r->path);
    lua_call(L, 1, 4);
    size_t n;
    const unsigned status = (unsigned)luaL_checkinteger(L, -4);
    const char *type = luaL_checkstring(L, -3), *body = luaL_checklstring(L, -2, &n);
    const char *etag = luaL_optstring(L, -1, NULL);
    const char *known = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
    const bool has_it = etag && known && strstr(known, etag);
    r->result = has_it ? answer(r->connection, MHD_HTTP_NOT_MODIFIED, type, etag, "", 0)
                       : answer(r->connection, status, type, etag, body, n);
    return 0;
}

static void set_end(struct MHD_Connection *c, double seconds)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info && info->socket_context) ((connection *)info->socket_context)->end = now() + seconds;
}

static bool has_body(struct MHD_Connection *c)
{
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
           (length && strcmp(length, "0") != 0);
}

static enum MHD_Result ask(server *s, struct MHD_Connection *c, const char *path)
{
    request r = { .connection = c, .path = path, .result = MHD_NO };
    lua_State *L = s->L;
    lua_pushcfunction(L, ask_lua);
    lua_pushvalue(L, 3); /* run() put the function there */
    lua_pushlightuserdata(L, &r);
    if (bind_call(L, 2) == LUA_OK) return r.result;
    dr_note("%s: %s", path, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 2);
    return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "an error; drift watch has said which\n");
}

/* Called for the headers, and again at the request's end. What is refused is refused at the first, before a body that
 * the client may want to send; libmicrohttpd then ends the connection. */
static enum MHD_Result take_request(void *context, struct MHD_Connection *c, const char *path, const char *method,
                                    const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    (void)version, (void)upload, (void)upload_bytes;
    static const char checked;
    if (*state) return ask(context, c, path);
    set_end(c, ANSWER_SECONDS);
    hosts h = { 0 };
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_host, &h);
    if (h.count != 1) return refuse(c, MHD_HTTP_BAD_REQUEST, "a request names its host, once\n");
    if (!h.good) return refuse(c, MHD_HTTP_FORBIDDEN, "served to this machine only, as 127.0.0.1 or localhost\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (has_body(c)) return refuse(c, TOO_LARGE, "a request has no body here\n");
    *state = (void *)(uintptr_t)&checked;
    return MHD_YES;
}

/* ---- connections that do not come to an end ---------------------------------------------------------------------- */
static void note_connection(void *context, struct MHD_Connection *c, void **slot,
                            enum MHD_ConnectionNotificationCode code)
{
    server *s = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*slot) ((connection *)*slot)->fd = -1;
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (int i = 0; info && i < CONNECTIONS; i++) {
        if (s->open[i].fd >= 0) continue;
        s->open[i] = (connection){ .fd = info->connect_fd, .end = now() + REQUEST_SECONDS };
        *slot = &s->open[i];
        return;
    }
}

static void note_completed(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code)
{
    (void)context, (void)state, (void)code;
    set_end(c, REQUEST_SECONDS); /* the next one */
}

static void end_slow_connections(server *s)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (s->open[i].fd >= 0 && s->open[i].end < now()) shutdown(s->open[i].fd, SHUT_RDWR);
    }
}

/* ---- the server -------------------------------------------------------------------------------------------------- */
static int listen_here(int *port) /* the socket, and the port where 0 was asked for; -1 with errno */
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
    socklen_t n = sizeof here;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&here, n) == 0 && listen(fd, CONNECTIONS) == 0 &&
        getsockname(fd, (struct sockaddr *)&here, &n) == 0) {
        *port = ntohs(here.sin_port);
        return fd;
    }
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void catch_signals(server *s)
{
    struct sigaction catch = { .sa_handler = end }, ignore = { .sa_handler = SIG_IGN };
    sigemptyset(&catch.sa_mask);
    sigemptyset(&ignore.sa_mask);
    ended = 0;
    sigaction(SIGINT, &catch, &s->interrupt);
    sigaction(SIGTERM, &catch, &s->terminate);
    sigaction(SIGPIPE, &ignore, &s->pipe); /* clients hang up */
}

static int server_close(lua_State *L)
{
    server *s = luaL_checkudata(L, 1, "drift.http_server");
    if (!s->daemon) return 0;
    if (s->L) return bind_error(L, "the server is answering a request: it cannot be closed by the function that it asks");
    MHD_stop_daemon(s->daemon); /* closes the socket too */
    s->daemon = NULL;
    sigaction(SIGINT, &s->interrupt, NULL);
    sigaction(SIGTERM, &s->terminate, NULL);
    sigaction(SIGPIPE, &s->pipe, NULL);
    return 0;
}

/* http_server(port) -> server, or nil, why, "taken" where another program has the port. 0: one that is free. */
static int core_http_server(lua_State *L)
{
    const lua_Integer wanted = luaL_checkinteger(L, 1);
    if (wanted < 0 || wanted > 65535)
        return bind_error(L, "a port is a number from 0 to 65535, not %lld", (long long)wanted);
    int port = (int)wanted;
    const int fd = listen_here(&port);
    if (fd < 0) {
        const int error = errno;
        lua_pushnil(L);
        lua_pushfstring(L, "port %d of 127.0.0.1: %s", port, strerror(error));
        lua_pushstring(L, error == EADDRINUSE ? "taken" : NULL);
        return 3;
    }
    server *s = lua_newuserdatauv(L, sizeof *s, 0);
    memset(s, 0, sizeof *s);
    s->port = port;
    for (int i = 0; i < CONNECTIONS; i++) s->open[i].fd = -1;
    luaL_setmetatable(L, "drift.http_server");
    s->daemon = MHD_start_daemon(
        MHD_USE_AUTO, (uint16_t)port, NULL, NULL, take_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_NOTIFY_CONNECTION, note_connection, s,
        MHD_OPTION_NOTIFY_COMPLETED, note_completed, s, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        return bind_error(L, "libmicrohttpd %s does not start a server on port %d", MHD_get_version(), port);
    }
    catch_signals(s);
    return 1;
}

/* run(seconds, fn) -> true, or false after Ctrl-C or SIGTERM. fn(path) -> status, type, body [, etag] */
static int server_run(lua_State *L)
{
    server *s = luaL_checkudata(L, 1, "drift.http_server");
    const double until = now() + luaL_checknumber(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    luaL_checkstack(L, 20, "a request");
    if (!s->daemon) return bind_error(L, "the server is closed");
    if (s->L) return bind_error(L, "the server runs already: the function that it asks cannot run it again");
    s->L = L;
    bool goes_on;
    do {
        end_slow_connections(s);
        goes_on = MHD_run_wait(s->daemon, 200) == MHD_YES || ended;
    } while (goes_on && !ended && now() < until);
    s->L = NULL;
    if (!goes_on) return bind_error(L, "libmicrohttpd cannot go on");
    lua_pushboolean(L, !ended);
    return 1;
}

static int server_port(lua_State *L)
{
    lua_pushinteger(L, ((server *)luaL_checkudata(L, 1, "drift.http_server"))->port);
    return 1;
}

void bind_open_http(lua_State *L)
{
    static const luaL_Reg functions[] = { { "http_server", core_http_server }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "run", server_run }, { "port", server_port }, { "close", server_close }, { NULL, NULL }
    };
    bind_class(L, "drift.http_server", methods, server_close);
    luaL_setfuncs(L, functions, 0);
}
#else
/* Without the library drift.core has no http_server, and `drift watch` says what to install. */
void bind_open_http(lua_State *L) { (void)L; }
#endif
