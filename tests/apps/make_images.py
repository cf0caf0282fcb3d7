#!/usr/bin/env python3
"""Makes tests/data/images: small images and what Pillow and OpenCV make of them.

  python3 make_images.py tests/data/images      (needs numpy, Pillow 13, opencv-python-headless 5)

The tests read what is there; this is how it came about.
"""
import io, os, struct, sys, zlib
import numpy as np, cv2
from PIL import Image, ImageOps
out=sys.argv[1]; os.makedirs(out,exist_ok=True)
rng=np.random.default_rng(7)
y,x=np.mgrid[0:13,0:17]
photo=np.stack([(x*14+y*3)%256,(y*19)%256,(x*y*2)%256],-1).astype(np.uint8)
photo[4:8,5:12]=rng.integers(0,256,(4,7,3))
P=lambda n: os.path.join(out,n)
Image.fromarray(photo).save(P('rgb.png'))
rgba=np.dstack([photo,((x*15)%256).astype(np.uint8)])
Image.fromarray(rgba).save(P('rgba.png'))
Image.fromarray(photo[...,0]).save(P('gray.png'))
Image.fromarray(photo).quantize(16).save(P('palette.png'))
def png16(path,a,color):
    h,w=a.shape[:2]
    raw=b''.join(b'\0'+a[r].astype('>u2').tobytes() for r in range(h))
    def chunk(t,d): return struct.pack('>I',len(d))+t+d+struct.pack('>I',zlib.crc32(t+d))
    open(path,'wb').write(b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR',struct.pack('>IIBBBBB',w,h,16,color,0,0,0))+chunk(b'gAMA',struct.pack('>I',45455))+chunk(b'IDAT',zlib.compress(raw,9))+chunk(b'IEND',b''))
png16(P('rgb16.png'),photo.astype(np.uint32)*257,2)
png16(P('gray16.png'),(photo[...,0].astype(np.uint32)*257)[...,None],0)
big=cv2.resize(photo,(48,32),interpolation=cv2.INTER_CUBIC)
Image.fromarray(big).save(P('photo.jpg'),quality=92,subsampling=2)
Image.fromarray(big[...,0]).save(P('gray.jpg'),quality=92)
Image.fromarray(big).convert('CMYK').save(P('cmyk.jpg'))
for o in range(1,9):
    exif=Image.Exif(); exif[0x0112]=o
    Image.fromarray(photo).save(P(f'exif{o}.jpg'),quality=100,subsampling=0,exif=exif)
exif=Image.Exif(); exif[0x0112]=6
Image.fromarray(photo).save(P('exif6.png'),exif=exif)
d=open(P('photo.jpg'),'rb').read(); open(P('truncated.jpg'),'wb').write(d[:len(d)*2//3])
d=open(P('rgb.png'),'rb').read(); open(P('truncated.png'),'wb').write(d[:len(d)//2])
ref=os.path.join(out,'expected'); os.makedirs(ref,exist_ok=True)
S=lambda n,a: np.save(os.path.join(ref,n+'.npy'),np.ascontiguousarray(a))
pil=lambda n: np.asarray(ImageOps.exif_transpose(Image.open(P(n))).convert('RGB'))
for n in ['rgb','rgba','gray','palette']: S(n,pil(n+'.png'))
S('photo',pil('photo.jpg')); S('gray_jpg',pil('gray.jpg'))
for o in range(1,9): S(f'exif{o}',pil(f'exif{o}.jpg'))
S('exif6_png',pil('exif6.png'))
S('rgb16',cv2.cvtColor(cv2.imread(P('rgb16.png'),cv2.IMREAD_COLOR),cv2.COLOR_BGR2RGB))
S('gray16',cv2.cvtColor(cv2.imread(P('gray16.png'),cv2.IMREAD_COLOR),cv2.COLOR_BGR2RGB))
# geometry, on the decoded photo
img=pil('photo.jpg')            # 32 x 48
S('linear_down',cv2.resize(img,(20,11),interpolation=cv2.INTER_LINEAR))
S('linear_up',cv2.resize(img,(70,50),interpolation=cv2.INTER_LINEAR))
S('antialias_down',np.asarray(Image.fromarray(img).resize((20,11),Image.BILINEAR)))
S('antialias_up',np.asarray(Image.fromarray(img).resize((70,50),Image.BILINEAR)))
h=w=40
r=min(h/32,w/48); nh,nw=round(32*r),round(48*r)
lb=np.full((h,w,3),114,np.uint8); t,l=(h-nh)//2,(w-nw)//2
lb[t:t+nh,l:l+nw]=cv2.resize(img,(nw,nh),interpolation=cv2.INTER_LINEAR); S('letterbox',lb)
pd=np.zeros((h,w,3),np.uint8); pd[:nh,:nw]=cv2.resize(img,(nw,nh),interpolation=cv2.INTER_LINEAR); S('pad',pd)
r=max(24/32,24/48); nh,nw=round(32*r),round(48*r)
big=np.asarray(Image.fromarray(img).resize((nw,nh),Image.BILINEAR)); t,l=(nh-24)//2,(nw-24)//2
S('center_crop',big[t:t+24,l:l+24])
S('luma',np.asarray(Image.fromarray(img).convert('L')))
