"""An example for each operation of the upload API, in the order of docs/api.md: together they are one story in bash.

tests/docs runs them as they are printed, against a running platform; `-f` lets curl fail on every refusal.
"""

from typing import Final

PRELUDE: Final = """\
# A call of the API with a token, and one member of its answer.
call() { curl -fsS "$API$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' "${@:2}"; }
member() { python3 -c 'import functools, json, sys
print(functools.reduce(lambda found, name: found[int(name) if name.isdigit() else name],
                       sys.argv[1].split("."), json.load(sys.stdin)))' "$1"; }
sha256() { sha256sum "$1" | cut -d " " -f 1; }
picture=$(mktemp) && printf '\\211PNG\\r\\n\\032\\n picture %s' "$(date +%s%N)" > "$picture"
"""

EXAMPLES: Final = {
    "GET /metrics": 'curl -fsS "$API/metrics" | grep mediabucket_uploads_total',
    "POST /api/media/upload/initiate": """\
ticket=$(call /api/media/upload/initiate -d '{"file_name": "beach.png", "mime_type": "image/png",
  "file_size": '"$(stat -c %s "$picture")"', "checksum": "'"$(sha256 "$picture")"'"}')
media_id=$(member media_id <<< "$ticket")
curl -fsS -X PUT -H 'Content-Type: image/png' --data-binary "@$picture" "$(member upload_url <<< "$ticket")"
""",
    "POST /api/media/upload/initiate/batch": """\
batch=$(call /api/media/upload/initiate/batch -d '{"files": [
  {"file_name": "a.png", "file_size": 1, "mime_type": "image/png",
   "checksum": "'"$(printf '%s' "$media_id" | sha256 -)"'"},
  {"file_name": "b.exe", "file_size": 1, "mime_type": "application/x-msdownload",
   "checksum": "'"$(printf b | sha256 -)"'"}]}')
cancelled=$(member results.0.media_id <<< "$batch")
member results.1.status <<< "$batch"    # 400: the other file is not kept back by it
""",
    "POST /api/media/{media_id}/confirm": 'call "/api/media/$media_id/confirm" -X POST',
    "GET /api/media/{media_id}": 'call "/api/media/$media_id" | member status    # completed',
    "DELETE /api/media/{media_id}": 'call "/api/media/$cancelled" -X DELETE',
    "GET /api/media": "call '/api/media?limit=10&media_type=image' | member items.0.file_name",
    "GET /api/media/{media_id}/content": """\
# curl does not send the token on to the store.
call "/api/media/$media_id/content" -L | cmp - "$picture"
""",
    "POST /api/media/{media_id}/parts": """\
film=$(call /api/media/upload/initiate -d '{"file_name": "film.mp4", "mime_type": "video/mp4",
  "file_size": 70000000, "checksum": "'"$(printf '%s' "$media_id" | sha256 -)"'", "multipart": true}' | member media_id)
call "/api/media/$film/parts" -d '{"part_numbers": [1, 2]}' | member parts.1.part_number    # 2
""",
    "GET /api/media/{media_id}/parts": 'call "/api/media/$film/parts" | member parts.0.arrived    # False',
    "DELETE /api/users/{sub}/media": """\
# 403: this token has no `scope` with the admin scope of the manifest.
status=$(curl -s -o /dev/null -w '%{http_code}' -X DELETE "$API/api/users/bob/media" -H "Authorization: Bearer $TOKEN")
test "$status" = 403
""",
    "POST /api/messages/send": """\
call /api/messages/send -d '{"conversation_id": "general", "content": "look!", "media_ids": ["'"$media_id"'"],
  "message_type": "image", "client_message_id": "'"$media_id"'"}' | member message_id
""",
    "GET /api/messages": "call '/api/messages?conversation_id=general&limit=5' | member items.0.media.0.status",
    "POST /api/events/s3": """\
# 404: `make dev` takes no notifications. Stores send the secret in X-Events-Secret or as a bearer token.
status=$(curl -s -o /dev/null -w '%{http_code}' "$API/api/events/s3" -H 'X-Events-Secret: wrong' -d '{}')
test "$status" = 404
""",
    "GET /healthz": 'curl -fsS "$API/healthz"',
    "GET /readyz": 'curl -fsS "$API/readyz" | member status    # ready',
}
