"""Try what no script may do: read a file, open a socket, and then never end."""

try:
    open("/etc/passwd")
except FileNotFoundError as error:
    print("reading /etc/passwd:", str(error).partition(";")[0])

try:
    import socket
except ImportError as error:
    print("a socket:", error)

print("looping for ever")
n = 0
while True:
    n += 1
