// Uppy Companion as its documentation sets it up for S3, with nothing else: node server.mjs PORT
import * as companion from '@uppy/companion'

const port = Number(process.argv[2])
const { app } = companion.app({
  filePath: process.env.COMPANION_DATADIR,
  secret: process.env.COMPANION_SECRET,
  server: { host: `127.0.0.1:${port}`, protocol: 'http' },
  corsOrigins: true,
  uploadUrls: [process.env.BUCKET_ENDPOINT],
  s3: {
    key: process.env.AWS_ACCESS_KEY_ID,
    secret: process.env.AWS_SECRET_ACCESS_KEY,
    bucket: process.env.BUCKET_NAME,
    region: process.env.BUCKET_REGION,
    endpoint: process.env.BUCKET_ENDPOINT,
    forcePathStyle: true,
    expires: 300,
  },
})
app.listen(port, '127.0.0.1')
