// What a chat app's front end does, in Node and in a page alike.

export async function uploadAndSend(API, token, file, { conversation_id, content, message_type }) {
  const { name: file_name, size: file_size, type } = file;

  const digest = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
  const checksum = [...new Uint8Array(digest)].map(b => b.toString(16).padStart(2,'0')).join('');
  const res = await fetch(API + '/api/media/upload/initiate', {method:'POST', headers:{'Authorization':`Bearer ${token}`,'Content-Type':'application/json'}, body: JSON.stringify({file_name, file_size, mime_type: type, checksum})});
  const {media_id, upload_url, exists} = await res.json();
  if (!exists) await fetch(upload_url, {method:'PUT', headers:{'Content-Type': type}, body: file});
  const sent = await fetch(API + '/api/messages/send', {method:'POST', headers:{'Authorization':`Bearer ${token}`,'Content-Type':'application/json'}, body: JSON.stringify({conversation_id, content, media_ids:[media_id], message_type})});

  return { exists, status: sent.status, message: await sent.json() };
}

// Uploads a new picture twice; answers what came back, and whether the bytes that are served are those of the file.
export async function story(API, token, conversation_id) {
  const bytes = new Uint8Array(1_500_000);
  for (let start = 0; start < bytes.length; start += 65_536) crypto.getRandomValues(bytes.subarray(start, start + 65_536));
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const file = new File([bytes], 'Füße 🎉 (1).png', { type: 'image/png' });
  const message = { conversation_id, content: 'look!', message_type: 'image' };
  const first = await uploadAndSend(API, token, file, message);
  const again = await uploadAndSend(API, token, file, message);
  const [media] = first.message.media;
  const served = await fetch(media.url);
  const received = new Uint8Array(await served.arrayBuffer());
  return {
    exists: [first.exists, again.exists],
    statuses: [first.status, again.status, served.status],
    sameMedia: media.media_id === again.message.media[0].media_id,
    sameBytes: received.length === bytes.length && received.every((byte, index) => byte === bytes[index]),
    name: media.file_name,
    type: served.headers.get('content-type'),
  };
}

// How the API and the store answer this origin: a status, or the error that the browser hides behind.
export async function attempts(API, token, upload_url, bytes) {
  const outcome = async (...request) => {
    try {
      return (await fetch(...request)).status;
    } catch (error) {
      return error.name;
    }
  };
  return {
    api: await outcome(API + '/api/media', { headers: { Authorization: `Bearer ${token}` } }),
    store: await outcome(upload_url, { method: 'PUT', headers: { 'Content-Type': 'image/png' }, body: new Uint8Array(bytes) }),
  };
}
